// Package place says where an address of the Internet is: from a database that
// the operator keeps on this machine, and from nothing else. No service is asked,
// so nobody outside learns who signs in from where.
//
// # What it promises
//
// [Atlas.Find] answers for every address. With a database it says the city and
// the country, or the country alone, or who holds the network, whatever the
// database knows; without one, and for an address that it does not know, it says
// the address. A database that is missing or damaged takes nothing away but the
// names: that is logged once, told by `troth doctor`, and the service goes on.
// The file is looked at again when it has changed, without a restart; replace it
// by renaming the new one over it. One that was overwritten in place instead is
// noticed too, and a file that is cut short while it is being read is a place that
// is not known, not the end of the program.
//
// [TooFar] says whether nobody can have travelled between two places in a time.
// It is careful: the accuracy radii of both places are taken off first, the speed
// is that of an airliner, and within a quarter of an hour nobody is surprised.
//
// # What it is not for
//
// It decides nothing about anybody. A place is what a database believes about a
// network: phones leave through gateways in other cities, and whoever uses a
// relay is where the relay is. It keeps no place either: what is stored is the
// address, sealed, by whoever stores it, and the place is found when it is shown.
//
// # Formats
//
// MaxMind DB, version 2 (https://maxmind.github.io/MaxMind-DB/), with the records
// of GeoLite2 and GeoIP2 City, Country and ASN, which other publishers use as well.
package place
