package command

import (
	"cmp"
	"strings"

	"paas/volume"
)

// Advice says a remedy in words for people who type commands, where how is what they type to run a
// verb. It is empty for the zero remedy.
func Advice(r volume.Remedy, how func(verb, args string) string) string {
	run := func(verb string, args ...string) string { return how(verb, strings.Join(args, " ")) }
	switch r.Do {
	case volume.ListApps:
		return run("apps:list") + " shows those there are"
	case volume.DestroyApp:
		return "to remove the app: " + run("apps:destroy", r.App)
	case volume.DeployAgain:
		switch r.With {
		case volume.CausePush:
			return "push again"
		case volume.CauseSync:
			return run("source:sync", r.App) + " tries again"
		}
		return "run the command again"
	case volume.UseNewName:
		return "use that name (in a clone: git remote set-url REMOTE .../" + r.App + "); " +
			run("apps:create", r.With) + " makes another app of the old name"
	case volume.ShowReleases:
		return "see what became of it: " + run("releases", r.App)
	case volume.SetConfigVar:
		return "set it: " + run("config:set", r.App, r.With)
	case volume.ChooseBuildDir:
		return run("settings:set", r.App, "build-dir=FOLDER") + " names another, build-dir= the top"
	case volume.SetBuildDir:
		return "to run it: " + run("settings:set", r.App, "build-dir="+r.With) + ", then push again"
	case volume.LetServerRun:
		return "run the command where the app runs, or " + run("settings:set", r.App, "mode=watch") + ", then push"
	case volume.Rebuild:
		return run("ps:rebuild", r.App) + " builds it again"
	case volume.RunOther:
		return "to run it without one: " + run("ps:scale", r.App, r.With+"=1")
	case volume.StartType:
		return run("ps:scale", r.App, r.With+"=1") + " starts it"
	case volume.RunWatcher:
		return "an app container that watches the folder does; " +
			run("settings:set", r.App, "mode=watch") + " lets the server run it"
	case volume.RaiseMemory:
		return run("limits:set", r.App, "memory=...") + " gives it more"
	case volume.FollowRepository:
		return run("source:set", cmp.Or(r.App, "APP"), "URL") + " makes it do so"
	case volume.UnfollowRepository:
		return run("source:unset", r.App) + " ends it"
	case volume.GrantRight:
		return "those who manage it can grant that: " + run("access:add", r.App, r.With)
	case volume.MakeToken:
		return run("tokens:create", "NAME") + " makes a token"
	case volume.StartServer:
		return "start it: paas serve " + r.With
	case volume.FreeDisk:
		return "make room on it: destroy apps that nobody needs, keep fewer builds (PAAS_KEEP_BUILDS), " +
			"look into data/ and cache/ of the others; PAAS_MIN_FREE says what stays free"
	case volume.RaiseBuildMemory:
		return "PAAS_BUILD_MEMORY raises that"
	case volume.RaisePushSize:
		return "PAAS_MAX_PUSH raises that"
	case volume.AddUIDs:
		return "PAAS_UIDS can be more"
	case volume.OpenFolder:
		return "the server's owner can open a folder to all apps: PAAS_APP_WRITE=/tmp/NAME"
	case volume.ChooseRoot:
		return "as its owner: chmod 700 " + r.With + "; or choose a folder below it as PAAS_ROOT"
	}
	return ""
}

// bare is a verb as it is called by people who know how to reach the server.
func bare(verb, args string) string { return strings.TrimSpace(verb + " " + args) }

// joined is a hint and an advice, either of which may be empty.
func joined(hint, advice string) string {
	if hint != "" && advice != "" {
		hint += "; "
	}
	return hint + advice
}
