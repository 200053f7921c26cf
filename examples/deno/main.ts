import ms from "ms";

const port = Number(Deno.env.get("PORT") ?? 3000);

Deno.serve(
  { port, hostname: "0.0.0.0" },
  () => new Response(`Up for ${ms(Math.round(performance.now()), { long: true })}, says Deno.\n`),
);
