// Package archtest holds the rules of this code base as tests: which package may import which and who may touch
// what (source), what every table must look like (catalogue), and what a query may say (query).
//
// The rules read the tree itself, not the output of `go list`: the test cache notes the files that a test opens and
// so answers anew when one of them changed, and files for other operating systems are seen as well.
//
// The comments that exported names need, the linters ask for (revive: exported), as well as functions of more than
// 60 lines (funlen) and global variables (gochecknoglobals). Where both speak, the rule here is the one without
// exceptions.
package archtest
