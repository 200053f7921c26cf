// Package builder makes a checked-out commit runnable, in place: it recognises what is in it, installs
// what it depends on with each language's own tool, and compiles it. What costs time is kept in the
// app's cache between builds. It fetches no tools: it says which are missing, or are another version than
// is asked for. It knows neither releases nor what runs; it says what to run.
package builder
