// Package git works on bare repositories for the receiver and the sidecar. It runs git in an
// environment built from nothing, moves references, reads commits that are still in quarantine, and
// checks them out. It does not know the volume, apps or users.
//
// git itself receives packs and moves references, because it does so durably and in bounded memory.
// go-git reads objects in this process, because each git process costs 2 to 5 ms and a push should
// need few, and because the sidecar's image has no git. [Objects.WriteTree] writes trees,
// [Objects.ChangeTree] turns one into that of another commit, and [Worktree] updates a tree in place
// under an app that is reading it, file by file and atomically, which git's checkout cannot do.
package git
