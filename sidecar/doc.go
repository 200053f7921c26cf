// Package sidecar follows repositories hosted elsewhere: a commit that a look finds becomes a
// release by the same two steps as a push. It knows neither who asks nor what runs the app; it meets
// them on the volume, and the repositories through [Remote].
//
// # Following
//
// Each app with a source has a goroutine that looks at it once in its period (volume.Source.Every),
// give or take a tenth, so that many sources do not come together. Sources come, change and go
// while it runs. A look that finds nothing new costs one question to the other end: it reads no
// file, takes no lock and starts nothing.
//
// A commit that is new is fetched, inspected and deployed, and then has its verdict: it is live, or
// it failed and the version before it still is. Either way it is not tried again until the branch
// moves or a person asks ([Sidecar.Sync]), so what a person rolled back to stays. What is not the
// commit's fault (the network, a full disk, a repository that is gone) is tried again: once in the
// period at first, then after a quarter of the time that it has lasted, up to five minutes. A host that
// takes no connections is probed meanwhile, and its sources are looked at once it does. Sources in trouble
// have turns of their own, so that they cannot hold up the others.
//
// # What is kept
//
// apps/<app>/looked.json says which commit had its verdict, and what is wrong now. All other
// knowledge is in the releases. kill -9 at any point leaves the old release or the new one: a commit
// without a verdict is taken up again, and one that went live meanwhile is recognised by its name.
// The order of locks is: source lock, then the app's turn; nobody waits for a place among the few
// that fetch and deploy while holding either.
package sidecar
