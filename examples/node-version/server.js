'use strict'

const http = require('node:http')

const server = http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  res.end(`On Node ${process.version}, as asked for.\n`)
})
server.listen(process.env.PORT || 3000)

process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
