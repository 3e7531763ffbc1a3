// Package fsck has a checker that is not ours look at our log: the fsck of
// Tessera (github.com/transparency-dev/tessera), which reads any C2SP
// tlog-tiles log.
//
// It is a module of its own, so that what Tessera depends on stays out of
// Troth's. It shares no code with Troth: it gets a directory. With
// TROTH_LOG_DIR that directory is one that `troth log export` wrote; without,
// the tests have the main module export a log.
package fsck
