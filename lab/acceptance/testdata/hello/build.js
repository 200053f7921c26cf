'use strict'

// This build fails if there is a file "broken". If there is a file "slow", it waits for a file "go"
// in the app's data folder.
const fs = require('node:fs')

const go = `/paas/apps/${process.env.PAAS_APP}/data/go`
const timer = setInterval(() => {
  if (fs.existsSync('slow') && !fs.existsSync(go)) return
  clearInterval(timer)
  process.exitCode = fs.existsSync('broken') ? 3 : 0
}, 20)
