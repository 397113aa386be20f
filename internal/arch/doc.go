// Package arch holds no code, only tests, and the tests hold the architecture:
// which package may import which, what has to be documented, what must not
// stand at package level, how long a function may get, and which modules the
// program depends on.
//
// Each rule is a function from source to complaints, in a file of its own, with
// its table at the top of that file. Beside the test that holds the rule
// against this repository stands one that holds it against bad sources, so that
// a rule that has stopped to see anything fails as well.
package arch
