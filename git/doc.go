// Package git works on bare repositories for the receiver and the sidecar. It runs git in an
// environment built from nothing, moves references, reads commits that are still in quarantine, and
// checks them out. It does not know the volume, apps or users.
//
// git itself receives packs, moves references and writes new trees ([Repo.Checkout]), because it
// does so durably and in bounded memory. go-git reads single objects in this process, because each
// git process costs 2 to 5 ms and a push should need few. [Objects.WriteTree] writes trees without
// git, for the sidecar's image, which has none. [Worktree] updates a tree in place under an app
// that is reading it, file by file and atomically, which git's checkout cannot do.
package git
