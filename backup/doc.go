// Package backup writes an app, or a whole server, into one stream, and reads it back. It knows the
// volume and git, but no door, no engine and no command.
//
// # The archive
//
// An archive is a tar file, compressed with zstd. Encrypted, it is that inside of the age format
// (age-encryption.org/v1), so that age and tar read it without this program:
//
//	age -d -i key.txt FILE | zstd -d | tar -t
//
//	backup.json                        what this is: see [Header]; always first
//	apps/<app>/app.json                settings, formation, domains, source: see [App]
//	apps/<app>/releases/<n>.json       a release and its state
//	apps/<app>/repo.pack/<i>           a git pack of the repository, in pieces
//	apps/<app>/source.pack/<i>         the same of the repository that the app follows
//	apps/<app>/credentials/<name>      what opens that repository
//	apps/<app>/data/...                the app's own files
//	apps/<app>/storage/<folder>/...    the folders of its tree that are kept
//	apps/<app>/logs/...                only if asked for
//	server/access.json                 keys, grants and tokens: see [access.Export]
//	server/host_key                    the server's own SSH key
//	server/certs/...                   certificates and ACME accounts
//	server/paas.yaml                   the server's own settings
//	end.json                           what is whole: see [End]; always last
//
// Builds and caches are not in it: a restored release is built from its commit again.
//
// # Reading
//
// An archive is read as if an enemy had made it. Each entry is one of the above, a file, a folder or
// a symbolic link; anything else ends the reading. Facts are read into their types, checked and
// written again; repositories are made new, and git checks each object of a pack. Files go through
// [os.Root] into a folder that nothing else uses. What the archive says of owners is ignored, and of
// modes only the nine bits of rwx count. The reader counts what comes out of the compression, and
// stops at the limit that the caller gives. Nothing appears among the apps before end.json was read.
package backup
