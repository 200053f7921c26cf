// The web app that the soak pushes. It reports its commit and config, and has the fault in fault.txt.
const fs = require('fs')
const http = require('http')
const path = require('path')

const read = (file) => {
  try {
    return fs.readFileSync(path.join(__dirname, file), 'utf8').trim()
  } catch (err) {
    return err.code
  }
}
// The version is in the first and the last file of the tree, and in the output of the build.
const version = () => {
  const seen = ['version.txt', 'z/version.txt', 'built.txt'].map(read)
  return new Set(seen).size === 1 ? seen[0] : 'half: ' + seen.join(' ')
}
const atBoot = version()
const fault = read('fault.txt')
const data = process.env.DATA_DIR

if (fault === 'boot') {
  console.error('this commit does not boot')
  process.exit(3)
}

const routes = {
  'GET /': (req, res) => {
    res.end(JSON.stringify({
      version: atBoot,
      torn: version() !== atBoot,
      color: process.env.COLOR || '',
      app: process.env.PAAS_APP,
      release: process.env.PAAS_RELEASE,
    }))
  },
  'GET /health': (req, res) => {
    res.statusCode = fault === 'health' ? 500 : 200
    res.end('ok\n')
  },
  'GET /data': (req, res) => {
    const files = {}
    for (const name of fs.readdirSync(data)) {
      if (/^note-\d+$/.test(name)) files[name] = fs.readFileSync(path.join(data, name), 'utf8')
    }
    res.end(JSON.stringify(files))
  },
  'PUT /data': (req, res, url, body) => {
    const file = path.join(data, path.basename(url.searchParams.get('name')))
    fs.writeFileSync(file + '.tmp', body)
    fs.renameSync(file + '.tmp', file)
    res.end('written\n')
  },
  // The soak asks for files that the app must not be able to read. A folder is read by listing it.
  'GET /peek': (req, res, url) => {
    const file = url.searchParams.get('path')
    const text = fs.statSync(file).isDirectory() ? fs.readdirSync(file).join('\n') : fs.readFileSync(file, 'utf8')
    res.end('seen: ' + text)
  },
}

const server = http.createServer((req, res) => {
  const parts = []
  req.on('data', (part) => parts.push(part))
  req.on('end', () => {
    const url = new URL(req.url, 'http://app')
    try {
      routes[`${req.method} ${url.pathname}`](req, res, url, Buffer.concat(parts))
    } catch (err) {
      res.statusCode = 507
      res.end(String(err.code || err))
    }
  })
})
process.on('SIGTERM', () => server.close(() => process.exit(0)))
if (fault !== 'mute') setTimeout(() => server.listen(process.env.PORT), 1000 * (Number(read('slow.txt')) || 0))
else setInterval(() => {}, 1000)
