'use strict'

// The app of the book: one page on port 5000. Change the text, push, and reload.
const text = 'Hello from the book'

const server = require('node:http').createServer((req, res) => res.end(`${text}\n`))
server.listen(process.env.PORT || 5000, () => console.log(text))
process.on('SIGTERM', () => process.exit(0))
