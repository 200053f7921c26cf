// Package builder makes a checked-out commit runnable, in place: it recognises the languages in it,
// installs the dependencies with each language's own tool, and compiles. Whatever takes long is
// kept in the app's cache between builds. It asks for toolchains if the server lacks a tool in the
// version that the repository asks for, or reports what is missing. It knows nothing of releases and runs nothing
// but builds; its result says which processes to run.
package builder
