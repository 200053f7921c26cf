// Package runtime is the home of the watched app: it builds releases, boots them beside the live
// one, checks their health, switches the traffic, and keeps what is live running, or asleep while
// nobody asks for it. It finds its work on the volume and says on the volume what became of it; it
// knows neither git nor ssh nor who serves HTTP, which it meets at [Front], nor how a process runs,
// which it meets at [Engine].
//
// The rooms beside it: local is the engine of child processes, which has build make, child start
// and site serve; health asks a process how it is; logs keeps what it prints; attach brings a command
// that a person runs once the streams of another process; command and tree read command lines and
// checked-out files.
package runtime
