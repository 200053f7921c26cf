// Package builder makes a checked-out commit runnable, in place: it recognises the languages in it,
// installs the dependencies with each language's own tool, and compiles. Whatever takes long is
// kept in the app's cache between builds. It downloads no tools: it reports which are missing or
// have another version than the repository asks for. It knows nothing of releases and runs nothing
// but builds; its result says which processes to run.
package builder
