// Package command is the one table of what people can ask of the server. The command line and SSH
// share it, and other doors can. A row says what input it takes, who may call it, what it does, and
// how its answer looks as text and as JSON. Names that Heroku or Dokku have for a verb are aliases
// in its row.
//
// A row is a [Verb], which gives one answer, a [Stream], which tells events while it runs, or a
// [Raw], which takes the caller's terminal. The struct tags of its input describe the arguments and
// flags. [Fields] reads them, so that a door derives parsing, help and completion from the row.
// [Run] checks rights, writes the audit log, and turns every error into a [Fault] or an [Exit].
// [Advice] has the words for what lower packages return as a remedy.
//
// The package knows no door and no engine: main fills in a [Server] with what the verbs need. Each
// file has the rows of one noun, with their inputs and answers. What several nouns share is in
// call.go, state.go, wanted.go and release.go. No verb uses another one.
package command
