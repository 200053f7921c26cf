package local

import (
	"runtime"
	"testing"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/engine/local/child"
	"paas/rig"
)

// suiteTree is the app of the suite.
var suiteTree = map[string]string{
	"server.js":   listener + `process.env.PORT)`,
	"Procfile":    "web: node server.js\n",
	"bin/detect":  "#!/bin/sh\nexit 0\n",
	"bin/compile": "#!/bin/sh\nexec /bin/sh -c \"$(cat \"$3/BUILD\")\"\n",
}

// suiteLayout is the layout of an app with one build.
func suiteLayout(dir string) func(engine.Image) (Layout, error) {
	return func(image engine.Image) (Layout, error) {
		image.Build = dir
		return layout(image)
	}
}

func TestSuite(t *testing.T) {
	rig.Need(t, "node")
	enginetest.Run(t, func(t *testing.T) enginetest.Suite {
		dir := rig.Tree(t, suiteTree)
		l := unopened(t)
		l.Layout = suiteLayout(dir)
		return enginetest.Suite{
			Engine: l, Image: engine.Image{App: "blog", Build: dir}, Serve: []string{"node", "server.js"},
			NoListening: runtime.GOOS != "linux", NoMemoryLimit: !child.CapsMemory,
		}
	})
}
