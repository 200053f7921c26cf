// Package receiver turns a git push into a release on the volume, for whoever has already found
// out who pushes and that they may. It knows neither ssh nor the runtime; it meets them at
// io.Reader, io.Writer and the volume.
//
// # A push
//
// [Receiver.Serve] runs git-receive-pack on the app's repository. git calls two hooks, which are
// a copy of this very program and decide nothing: [Hook] hands what git said to the server through
// a socket, prints what comes back and ends with the status that comes last. A push for which git
// has not run both is taken back.
//
// pre-receive is the first phase of the commit: the push is judged, waits for the app's turn, is
// inspected, checked out and published as a release. The runtime builds and boots it, gives it the
// traffic and watches it; the runtime's verdict is the hook's. Then git moves the branch.
// post-receive is the second phase: the release is accepted. A pusher who leaves before the verdict
// takes the release back; one who leaves after it gets their release.
//
// # The reconciler
//
// The hooks are only the fast way. What holds is compared again whenever something may have been
// cut off: at the end of each push, at start, when an app's bell rings and each minute. The branch
// points at the commit that is live, or is moved to it. What fails, as on a full disk, is tried again
// within 10 s.
package receiver
