// Package git is what the receiver and the sidecar ask of a bare repository: running git with an
// environment built from nothing, moving references, looking into commits that are still in
// quarantine, and checking them out. It knows neither the volume nor apps nor who asks.
//
// Who does what: git itself takes packs, moves references and writes whole trees ([Repo.Checkout]),
// because it does so durably and in bounded memory. go-git reads single objects inside this process,
// because a process costs 2 to 5 ms and a push should need few of them. Where there is no git, as in
// the sidecar's image, [Objects.WriteTree] writes trees; where a tree changes in place under an app
// that reads it, [Worktree] does, which git's own checkout cannot do whole.
package git
