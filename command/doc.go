// Package command is the one table of what people can ask of the server. The command line and SSH
// share it, and so will every other door: a row says what it takes, who may ask, what it does, and
// how its answer reads as text and as JSON.
//
// A row is a [Verb], which has one answer, a [Stream], which tells events while it runs, or a [Raw]
// one, which has the caller's terminal. The tags of its input describe arguments and flags once: a
// door derives parsing, help and completion from [Fields]. [Run] is where rights are checked, where
// the audit log is written, and where every error becomes a [Fault] or an [Exit].
//
// The package knows no door and no engine: what it needs of the server, main fills into a [Server].
// What follows a verb reads from the bottom up in table.go, call.go, app.go and release.go; no verb
// uses another one.
package command
