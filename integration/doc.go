// Package integration holds what only the whole can show: the import graph, the
// command line against real servers, the hostile store, and the documents
// checked against the code.
package integration
