// Runs browser.js in a page of headless Chromium (the distribution's: nothing is downloaded), which talks to Skep like any page:
//
//   node chromium.mjs PAGE_URL URL PROJECT STACK COMPOSE_FILE       the token: SKEP_TOKEN; the browser: CHROMIUM (/usr/bin/chromium)
//
// The page is answered here: with Skep's own address it is of the same origin; another one (of this machine) is listened at, and the daemon's
// cors_origins must name it.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [page, url, project, stack, file] = process.argv.slice(2);
const script = readFileSync(new URL("browser.js", import.meta.url), "utf8");
const blank = "<!doctype html><title>Skep</title>";
const { origin, hostname, port } = new URL(page);
const isOwn = origin === new URL(url).origin;
const server = createServer((request, answer) => answer.setHeader("content-type", "text/html").end(blank));
if (!isOwn) await new Promise((done) => server.listen(Number(port), hostname, done));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const tab = await browser.newPage();
  tab.on("console", (message) => console.error(message.text())); // why the browser refuses
  if (isOwn) await tab.route(page, (route) => route.fulfill({ contentType: "text/html", body: blank }));
  await tab.goto(page);
  await tab.addScriptTag({ content: script });
  const wish = { url, token: process.env.SKEP_TOKEN, project, stack, compose: readFileSync(file, "utf8") };
  const lines = await tab.evaluate((w) => window.skepDeploy(w), wish);
  console.log(lines.join("\n"));
  process.exitCode = lines.at(-1) === "SUCCEEDED" ? 0 : 1;
} finally {
  await browser.close();
  server.close();
}
