import ms from 'ms'

Bun.serve({
  port: process.env.PORT ?? 3000,
  fetch: () => new Response(`Up for ${ms(Math.round(performance.now()), { long: true })}, says Bun.\n`),
})
