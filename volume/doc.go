// Package volume is the contract between the makers of releases (receiver, sidecar, commands) and
// the runtime, which runs them: a tree of files under one root, and the rules for writing them. It
// knows neither git nor ssh nor processes, and needs no library but the standard one and x/sys.
//
// # The disk
//
//	<root>/                                                                    written by
//	  apps/<app>/repo.git/                 bare repository: the remote itself  receiver
//	  apps/<app>/id                        random, made with the app           receiver, commands
//	  apps/<app>/names                     names that it had before            commands
//	  apps/<name> -> <app>                 such a name leads to it             commands, runtime
//	  apps/<app>/settings.json    (0600)   what the next release freezes: branch,
//	                                       mode, build settings, and config
//	                                       vars that wait for a release        commands
//	  apps/<app>/wanted.json      (0600)   what should run now: formation, limits,
//	                                       sleep, grace, prove, stopped,
//	                                       restarts, requests; domains, and
//	                                       the rules for visitors              commands
//	  apps/<app>/source.json               the remote repository it follows    commands, sidecar
//	  apps/<app>/looked.json               how the last checks of it went      the one who syncs
//	  apps/<app>/source.lock               held (flock) during a sync          the one who syncs
//	  apps/<app>/source.git/               what was fetched from there         the one who syncs
//	  apps/<app>/builds/<id>/tree/         checked-out commit, then built      its maker, runtime
//	  apps/<app>/builds/<id>/build.json    commit, branch, subject, size       its maker
//	  apps/<app>/builds/<id>/built.json    what the build produced             runtime
//	  apps/<app>/builds/<id>/replaced/     the build's own folders, where the
//	                                       tree has links to storage           runtime
//	  apps/<app>/spare/<commit>/  (0700)   a checkout, for the next build      maker of a release
//	  apps/<app>/base/<commit>/   (0700)   a checkout that spares share blocks
//	                                       with, if the file system can        maker of a release
//	  apps/<app>/releases/<n>/release.json (0600) build, settings, author and
//	                                       cause; immutable                    its maker
//	  apps/<app>/releases/<n>/status.json  state, reason, time                 runtime, or its maker
//	  apps/<app>/releases/<n>/log          output of build and boot; only of
//	                                       the last 20 releases                runtime
//	  apps/<app>/releases/<n>/commit       "accepted: you are live"            its maker
//	  apps/<app>/releases/<n>/cancel       "not wanted any more", and why      its maker
//	  apps/<app>/live -> releases/<n>      relative link                       as status.json
//	  apps/<app>/worktree/                 modes watch and worktree: the
//	                                       commit, in place; in mode watch
//	                                       the tree of a build, too            the release's maker,
//	                                                                           runtime
//	  apps/<app>/worktree.json, .files     which commit, whole or being
//	                                       changed, and its files              the release's maker
//	  apps/<app>/processes.json            the processes that run now          runtime
//	  apps/<app>/cron.json                 what runs on a schedule, and the
//	                                       last runs                           runtime
//	  apps/<app>/uid                       user id of its processes, if apps
//	                                       have users of their own             runtime
//	  apps/<app>/asleep.json               since when it sleeps; none: awake   runtime
//	  apps/<app>/cache/                    build cache, kept between builds    runtime
//	  apps/<app>/data/                     the app's own files ($DATA_DIR)     the app
//	  apps/<app>/storage/<path>/           made when <path> of the tree was
//	                                       first kept; %2F stands for /        runtime
//	  apps/<app>/storage/<path>/files/     the files that are kept there       the app
//	  apps/<app>/logs/<type>.<i>.log       bounded, rotated; run.<n>: of a
//	                                       detached command; router.0: of the
//	                                       requests                            runtime
//	  apps/<app>/origin                    the id of the app whose backup it is commands
//	  apps/<app>/restored/        (0700)   what is left to do after it came back
//	                                       from a backup                       commands
//	  apps/<app>/turn                      held (flock) during a deploy        the one who deploys
//	  bell/<app>                           rung after each change of an app    everybody
//	  tmp/<process>/                       files and folders not yet published;
//	                                       locked (flock) by the process       everybody
//	  format                               the volume's format: see [Format]   the first to open it
//	  uids                                 the last user id given to an app    engine, under a lock
//	  scratch/                    (0700)   the /tmp of each process that runs;
//	                                       builder-<process>: of builds        engine
//	  events/<role>.jsonl         (0700)   audit: who did what when; renamed
//	                                       to end in .1 at 4 MiB               that role
//	  events/refused.jsonl                 the same of what was refused            all roles
//	  events/off                           there while none are recorded       commands
//	  domains/<name>              (0700)   the id of the app that has the
//	                                       domain; the folder is locked
//	                                       (flock) while one is given or ended commands
//	  certs/                      (0700)   certificates, their keys and
//	                                       accounts                            package certs
//	  ssh/                        (0700)   host key, keys, tokens, grants      package access
//	  sources/<app>/              (0700)   tokens, keys, known hosts, secrets  commands, sidecar
//	  link/                       (0700)   what roles in several containers share:
//	                                       the key that they prove to know to
//	                                       each other, and the socket where
//	                                       certificates are brought            package link, main
//	  hooks/<start>/              (0700)   the hooks that git runs: a copy of
//	                                       the paas binary as it started       receiver
//	  paas.yaml                            the server's settings, if any       its owner
//	  paas.yaml.restored                   the same, from a backup             package backup
//	  backups/                    (0700)   when the server backs itself up, how
//	                                       that went, and backups in files/    package backup
//	  restored/                   (0700)   a whole server from a backup, on its
//	                                       way to its place                    package backup
//	  up/, server.log, server.log.1        what scripts/up keeps               scripts/up, server
//	  run/                        (0700)   sockets and locks of the server;
//	                                       the isolation in force              main, receiver
//	  run/routes.json                      what the front knows of the routes  main, in role front
//	  run/<role>.json                      where the role can be reached; valid
//	                                       while run/<role>.lock is held       main, in that role
//	  run/certificates/<name>              the state of a name's certificate   main, in role app, which
//	                                                                           a front tells it
//
// # The rules
//
// Each file has one writer. In mode worktree the maker of a release also does what the runtime does
// otherwise: it writes the status and the link live. A file is written whole: a temporary file in
// tmp/, fsync, rename, fsync of the folder ([Volume.WriteFile]). Publishing is a rename to a new
// name, so the name is the lock: two writers can never both own releases/7. A reader therefore
// finds the old file or the new one, never half of one. kill -9 at any point leaves at most
// something in tmp/, which the next server removes.
//
// Only deploying takes turns: a push, a config change and a rollback each start from what is live,
// and must not do so at the same time. The turn ([App.Turn]) is an advisory lock on a file. A
// process holds it, and the kernel frees it when that process dies, so it can never be stuck. A
// release that is not committed is abandoned if nobody holds the turn.
//
// A file that a power cut or a person has damaged harms only its app. Reading it fails with
// [Damage], which names the file and the remedy in one line. What can be worked out from the rest
// of the volume is repaired instead, and logged: see [App.Repair], [App.SetIdentity] and
// [App.Status]. A runtime that finds wanted.json damaged goes on with what it has read before, or
// with what was wanted when the live release was made. Then it lets no visitors in, for nobody knows
// who may visit the app.
//
// An app's history only grows, so no deploy lists or reads all of it. Releases end in the order of
// their numbers ([App.Open]), and a release becomes live only after the one before has become
// retired, so a walk from the newest backwards is short. Each release holds all its config vars:
// its folder is all that a rollback needs.
//
// Readers watch one folder, the bell, instead of whole trees. A ring only means: compare and act.
// If a ring is lost, the next poll finds the change.
package volume
