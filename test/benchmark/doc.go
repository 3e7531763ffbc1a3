// Command benchmark measures what Troth promises about its speed and size, and
// prints one table: what was asked, what was measured, and, where the promise is
// a ratio, what stood beside it in the same run. `make bench` calls it;
// docs/benchmarks.md explains each line.
//
// A ratio is taken in pairs: one repetition of ours, one of the other's, and so
// on in turn, so that whatever else the machine does falls on both. What is
// printed is the median of the ratios of the pairs, never the ratio of the best
// runs.
//
// What can be measured from outside is: the program that `make build` made is
// started, fed and weighed as an operator would. What happens in process is
// measured on the same packages, wired as package app wires them, over a real
// encrypted database on the disk of the temporary directory. Nothing is
// replaced by something lighter.
//
// It is not a test: it fails only when something cannot be measured. A promise
// that does not hold is a line of the table that says so, and exit status 3.
package main
