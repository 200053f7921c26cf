package local

import (
	"testing"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/rig"
)

func TestSuite(t *testing.T) {
	rig.Need(t, "node")
	enginetest.Run(t, func(t *testing.T) enginetest.Suite {
		dir := rig.Tree(t, map[string]string{"server.js": listener + `process.env.PORT)`})
		return enginetest.Suite{
			Engine: newLocal(t), Image: engine.Image{App: "blog", Build: dir}, Serve: []string{"node", "server.js"},
		}
	})
}
