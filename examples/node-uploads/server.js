'use strict'

const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { pipeline } = require('node:stream')

// app.json keeps this folder across releases.
const folder = path.join(__dirname, 'uploads')

const server = http.createServer((req, res) => {
  const name = req.url.slice(1)
  const send = (status, text) => {
    res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' })
    res.end(`${text}\n`)
  }
  if (name === '') {
    const names = fs.readdirSync(folder).filter((name) => !name.startsWith('.'))
    return send(200, `Uploads:\n${names.join('\n')}`)
  }
  if (!/^\w[\w.-]*$/.test(name)) return send(400, 'A name has letters, digits, ".", "_" and "-".')
  const file = path.join(folder, name)
  const done = (error) => {
    if (error && !res.headersSent) send(error.code === 'ENOENT' ? 404 : 500, error.code)
  }
  if (req.method === 'PUT') {
    // Written beside it first, in the same folder, because a rename works only within a file system.
    const part = path.join(folder, `.${process.pid}-${Date.now()}`)
    return pipeline(req, fs.createWriteStream(part), (error) => {
      if (error) return done(error)
      fs.rename(part, file, (error) => error ? done(error) : send(201, `kept ${name}`))
    })
  }
  pipeline(fs.createReadStream(file), res, done)
})
server.listen(process.env.PORT || 3000)

process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
