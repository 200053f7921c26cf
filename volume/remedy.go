package volume

import "errors"

// Remedy is what a person can do about a problem. It names no command and no setting of the
// server: each door says it in the words that people use there.
type Remedy struct {
	Do   Action `json:"do"`
	App  string `json:"app,omitempty"`
	With string `json:"with,omitempty"` // such as a process type; see the Action
}

// Action is the kind of a [Remedy].
type Action string

const (
	ListApps           Action = "list-apps"           // choose one of the apps that exist
	DestroyApp         Action = "destroy-app"         // remove it
	DeployAgain        Action = "deploy-again"        // what was cancelled; With is its cause
	UseNewName         Action = "use-new-name"        // of the app that was called With before
	ShowReleases       Action = "show-releases"       // of the app
	SetConfigVar       Action = "set-config-var"      // With is KEY=VALUE
	ChooseBuildDir     Action = "choose-build-dir"    // of the app
	SetBuildDir        Action = "set-build-dir"       // of the app, to With
	LetServerRun       Action = "let-server-run"      // the app: leave mode worktree
	Rebuild            Action = "rebuild"             // the app's live commit
	RunOther           Action = "run-other"           // processes of the type With, in place of a web process
	StartType          Action = "start-type"          // a process of the type With
	RunWatcher         Action = "run-watcher"         // of the app, which is only files
	RaiseMemory        Action = "raise-memory"        // of the app's processes
	FollowRepository   Action = "follow-repository"   // have the app follow one
	UnfollowRepository Action = "unfollow-repository" // end that
	GrantRight         Action = "grant-right"         // with the app; With is who and which
	MakeToken          Action = "make-token"          // in place of one that does not count
	StartServer        Action = "start-server"        // with the role With
	FreeDisk           Action = "free-disk"           // of the server
	RaiseBuildMemory   Action = "raise-build-memory"  // of the server
	RaisePushSize      Action = "raise-push-size"     // that the server accepts
	AddUIDs            Action = "add-uids"            // for apps of the server
	OpenFolder         Action = "open-folder"         // of the server, for apps to write to
	ChooseRoot         Action = "choose-root"         // another folder for the volume than With
)

// Problem is an error with a remedy. Its text does not include the remedy.
type Problem struct {
	Err    error
	Remedy Remedy
}

func (p *Problem) Error() string { return p.Err.Error() }

func (p *Problem) Unwrap() error { return p.Err }

// Remedied returns the remedy of the problem.
func (p *Problem) Remedied() Remedy { return p.Remedy }

// RemedyOf returns the remedy of an error that has a method Remedied, as a [Problem] has; the zero
// Remedy if none is known.
func RemedyOf(err error) Remedy {
	var r interface{ Remedied() Remedy }
	if errors.As(err, &r) {
		return r.Remedied()
	}
	return Remedy{}
}
