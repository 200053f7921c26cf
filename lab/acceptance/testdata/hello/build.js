'use strict'

// A build that fails where there is a file "broken", and that waits, where there is a file "slow", for
// the session to make a file "go" in the app's data folder.
const fs = require('node:fs')

const go = `/paas/apps/${process.env.PAAS_APP}/data/go`
const timer = setInterval(() => {
  if (fs.existsSync('slow') && !fs.existsSync(go)) return
  clearInterval(timer)
  process.exitCode = fs.existsSync('broken') ? 3 : 0
}, 20)
