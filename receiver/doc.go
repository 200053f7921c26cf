// Package receiver turns a git push into a release on the volume. Its caller has authenticated the
// pusher, and answers what the pusher may do. It knows neither ssh nor the runtime; it meets them at
// io.Reader, io.Writer and the volume.
//
// # A push
//
// [Receiver.Serve] runs git-receive-pack on the app's repository. git calls two hooks, which are a
// copy of this program and decide nothing: [Hook] passes on what git reports to the server through
// a socket, prints what the server sends, and ends with the status that comes last. A push for
// which git has not run both hooks is taken back.
//
// pre-receive is the first phase of the commit: the push is judged, waits for the app's turn, is
// inspected, checked out and published as a release. The runtime builds and boots it, gives it the
// traffic and watches it; the hook ends with its decision. Then git moves the branch. post-receive
// is the second phase: the release is accepted. If the pusher leaves before the decision, the
// release is taken back; later it goes live all the same.
//
// # The reconciler
//
// The hooks are only fast triggers. Branch and release are compared again whenever something may
// have been cut off: at the end of each push, at start, when an app's bell rings, and each minute.
// A branch that does not point at the live commit is moved to it. What fails, such as on a full
// disk, is tried again within 10 s.
package receiver
