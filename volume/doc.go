// Package volume is the contract between what writes releases (receiver, sidecar, commands) and
// what runs them (runtime): a tree of files under one root, and the rules for writing them. It
// knows neither git nor ssh nor processes, and uses the standard library alone.
//
// # The disk
//
//	<root>/                                                                    written by
//	  apps/<app>/repo.git/                 bare repository: the remote itself  receiver
//	  apps/<app>/id                        random, of its creation             receiver, commands
//	  apps/<app>/settings.json    (0600)   what the next release freezes: branch,
//	                                       mode, build settings, and the config
//	                                       vars until a release is live        commands
//	  apps/<app>/wanted.json               what should run now: formation, limits,
//	                                       sleep, grace, prove, restarts       commands
//	  apps/<app>/source.json               the repository elsewhere it follows commands, sidecar at its start
//	  apps/<app>/looked.json               what became of following it         who syncs
//	  apps/<app>/source.lock               held (flock) by who syncs now       who syncs
//	  apps/<app>/source.git/               what was fetched from there         who syncs
//	  apps/<app>/builds/<id>/tree/         checked-out commit, then built      receiver|sidecar, then runtime
//	  apps/<app>/builds/<id>/build.json    commit, branch, subject, size       receiver|sidecar
//	  apps/<app>/builds/<id>/built.json    what the build made of it           runtime
//	  apps/<app>/releases/<n>/release.json (0600) build, settings of that
//	                                       moment, who and why; immutable      receiver, sidecar, commands
//	  apps/<app>/releases/<n>/status.json  state, reason, time                 runtime; in watch mode
//	                                                                           whoever made the release
//	  apps/<app>/releases/<n>/log          what building and booting printed;
//	                                       of the last 20 releases             runtime
//	  apps/<app>/releases/<n>/commit       "you may take traffic"              whoever made the release
//	  apps/<app>/releases/<n>/cancel       "nobody wants this any more"        whoever made the release
//	  apps/<app>/live -> releases/<n>      relative link                       as status.json
//	  apps/<app>/worktree/                 watch mode: the commit, in place    whoever made the release
//	  apps/<app>/worktree.json, .files     which one, whole or being changed,
//	                                       and the files it has                whoever made the release
//	  apps/<app>/processes.json            what runs now, for ps               runtime
//	  apps/<app>/cron.json                 what runs by the clock, and the last
//	                                       run of each                         runtime
//	  apps/<app>/uid                       user id of its processes, where apps
//	                                       have users of their own             runtime
//	  apps/<app>/asleep.json               since when it sleeps; none: awake   runtime
//	  apps/<app>/cache/                    build cache, kept between builds    runtime
//	  apps/<app>/data/                     the app's own files ($DATA_DIR)     the app
//	  apps/<app>/logs/<type>.<i>.log       bounded, rotated; run.<n>: of a
//	                                       command run once, detached          runtime
//	  apps/<app>/turn                      held (flock) by who deploys now     receiver, sidecar, commands
//	  bell/<app>                           rung after each change of an app    everybody
//	  tmp/<process>/                       files and trees not yet published;
//	                                       locked (flock) by the process       everybody
//	  format                               the volume's format: see [Format]   who opens it first
//	  uids                                 the last user id given to an app    runtime
//	  scratch/                    (0700)   the /tmp of each process that runs  runtime
//	  events/<role>.jsonl         (0700)   audit: who did what when; full at
//	                                       4 MiB, then renamed to end in .1    that role; all commands, in turn
//	  events.jsonl                         the same, of earlier versions       nobody any more
//	  ssh/                        (0700)   host key, keys                      sshd
//	  sources/<app>/              (0700)   tokens, keys, known hosts, secrets  commands, sidecar at its start
//	  hooks/<life>/               (0700)   what git runs as its hooks: a copy of
//	                                       the paas binary since the start     receiver
//	  paas.yaml                            the server's settings, if any       its owner
//	  up/, server.log, server.log.1        what scripts/up keeps               scripts/up, server
//	  run/                        (0700)   sockets and locks of the server;
//	                                       what keeps apps apart               main, receiver
//	  run/<role>.json                      where the role is reached; counts
//	                                       while run/<role>.lock is held       main, in that role
//
// # The rules
//
// One writer a file. A file is written whole: a temporary file in tmp/, fsync, rename, fsync of
// the folder ([WriteFile]). Publishing is a rename to a name that is not there yet, so the name is
// the lock: two writers can never both own releases/7. A reader therefore sees a file as it was or
// as it is, never half of it, and kill -9 at any point leaves at worst something in tmp/, which the
// next process that starts to serve wipes.
//
// Deploying is the one thing that takes turns: a push, a config change and a rollback each start
// from what is live and must not do so at once. The turn ([App.Turn]) is an advisory lock on a
// file, held by a process and freed by the kernel when that process dies, so it can never be stuck.
// A release that is neither committed nor guarded by a held turn has been abandoned.
//
// A file that a power cut or a person has damaged harms its app alone. Reading it fails with [Damage],
// which names the file and the remedy in one line. What can be told from the rest of the volume is
// repaired instead, and logged: see [App.Mend], [App.SetIdentity] and [App.Status]. A runtime that finds
// wanted.json damaged goes on with what it has read before, or what was wanted when the live release was
// made.
//
// An app's history only grows, so nothing that is done at each deploy lists it or reads all of it.
// Releases are over in the order of their numbers ([App.Open]), and the live one is called so after
// the one before was called retired: so a walk from the newest backwards soon ends. Each release has
// its config vars in full: it is whole without any other, and its folder is all that a rollback needs.
//
// The bell is what is watched in place of trees: one folder, whatever the number of apps and
// releases. A ring says only "compare and act"; losing one costs a poll interval.
package volume
