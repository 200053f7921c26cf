'use strict'

const fs = require('node:fs')
const path = require('node:path')

const page = fs.readFileSync(path.join(__dirname, 'page.txt'))

const server = require('node:http').createServer((req, res) => {
  if (!server.listening) res.setHeader('Connection', 'close')
  res.end(page)
})
server.listen(process.env.PORT, () => console.log(`serving ${page}`))
process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
