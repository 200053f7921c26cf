'use strict'

const http = require('node:http')
const ms = require('ms')

const server = http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  res.end(`Up for ${ms(Math.round(process.uptime() * 1000), { long: true })}, installed by Yarn 1.\n`)
})
server.listen(process.env.PORT || 3000)

process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
