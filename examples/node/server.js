'use strict'

const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')

const port = process.env.PORT || 3000
const folder = path.join(__dirname, 'posts')

// Read posts on the first request, so that the server listens at once. Once is enough: pushed files
// do not change while the app runs.
let cache
function posts() {
  cache ??= fs.readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .sort()
    .reverse()
    .map((file) => {
      const markdown = fs.readFileSync(path.join(folder, file), 'utf8')
      return {
        slug: path.basename(file, '.md'),
        title: markdown.split('\n', 1)[0].replace(/^#+\s*/, ''),
        html: require('marked').parse(markdown),
      }
    })
  return cache
}

function escape(text) {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}

function page(title, body) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<style>
  body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
  pre { background: #8882; padding: .7rem 1rem; overflow-x: auto }
  a { color: inherit }
</style>
<body>
${body}
</body>
</html>
`
}

function frontPage() {
  const items = posts().map((p) => `<li><a href="/${encodeURIComponent(p.slug)}">${escape(p.title)}</a></li>`)
  return page('Blog', `<h1>Blog</h1>\n<ul>\n${items.join('\n')}\n</ul>`)
}

function answer(req, res) {
  if (!server.listening) res.setHeader('Connection', 'close')
  const send = (status, type, body) => {
    res.writeHead(status, { 'Content-Type': `${type}; charset=utf-8`, 'Content-Length': Buffer.byteLength(body) })
    res.end(req.method === 'HEAD' ? undefined : body)
  }
  const [pathname] = req.url.split('?', 1) // not new URL(): it throws on odd input such as "//"
  if (pathname === '/health') return send(200, 'text/plain', 'ok\n')
  if (pathname === '/') return send(200, 'text/html', frontPage())
  const post = posts().find((p) => pathname === `/${encodeURIComponent(p.slug)}`)
  if (post) return send(200, 'text/html', page(post.title, `${post.html}<p><a href="/">All posts</a></p>`))
  send(404, 'text/html', page('Not found', '<h1>Not found</h1><p><a href="/">All posts</a></p>'))
}

const server = http.createServer(answer)
server.listen(port, () => console.log(`listening on port ${port}`))

// On SIGTERM finish requests and accept no new ones. Close idle connections now, and the others after
// their response, else they would keep the process alive until the client closes them.
process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
