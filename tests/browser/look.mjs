// Opens a page of dynasplit in headless Chromium and checks what only a browser can: nothing is reported on the console,
// nothing is requested beside the page, nothing is wider than the window, and the keyboard reaches every table.
//
//     node tests/browser/look.mjs PAGE [FOLDER]
//
// PAGE is a file of `report` or the address of a live page. FOLDER gets screenshots at three widths, light and dark.
// CHROMIUM names the browser (default: `chromium` of the PATH).
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const WIDTHS = [360, 900, 1400];
// A browser on a busy machine may take long, but not for ever.
const PATIENCE_MS = 120_000;

const [page, folder] = process.argv.slice(2);
if (!page) {
  console.error("usage: node look.mjs PAGE [FOLDER]");
  process.exit(2);
}
const address = /^https?:/.test(page) ? page : pathToFileURL(resolve(page)).href;
const profile = mkdtempSync(join(tmpdir(), "dynasplit-look-"));
const browser = spawn(process.env.CHROMIUM ?? "chromium", [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-background-networking",
  "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });

// The protocol of the developer tools over two pipes: JSON documents that end with a zero byte.
let last = 0;
let rest = "";
const waiting = new Map();
const events = [];
const [, , , input, output] = browser.stdio;
output.setEncoding("utf8");
output.on("data", (text) => {
  const documents = (rest + text).split("\0");
  rest = documents.pop();
  for (const document of documents) {
    const message = JSON.parse(document);
    if (!message.id) events.push(message);
    else if (message.error) waiting.get(message.id).reject(new Error(message.error.message));
    else waiting.get(message.id).resolve(message.result);
  }
});
let session;
const call = (method, params = {}) => new Promise((resolve, reject) => {
  last += 1;
  waiting.set(last, { resolve, reject });
  input.write(JSON.stringify({ id: last, method, params, sessionId: session }) + "\0");
});
const run = async (expression) => {
  const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
};
const until = async (what, holds) => {
  const began = Date.now();
  while (!(await holds())) {
    if (Date.now() - began > PATIENCE_MS) throw new Error(`${what} did not happen in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const problems = [];
const holds = (is, what) => { if (!is) problems.push(what); };

const open = async () => {
  const { targetId } = await call("Target.createTarget", { url: "about:blank" });
  ({ sessionId: session } = await call("Target.attachToTarget", { targetId, flatten: true }));
  for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"]) await call(`${domain}.enable`);
  await call("Page.navigate", { url: address });
  await until("loading the page", () => events.some((event) => event.method === "Page.loadEventFired"));
};

const everyWidth = async () => {
  for (const scheme of ["light", "dark"]) {
    for (const width of WIDTHS) {
      await call("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }],
      });
      await call("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
      const [needed, faint] = await run(`[document.documentElement.scrollWidth, (${faintTexts})()]`);
      holds(needed <= width, `at a width of ${width}, the page needs ${needed}`);
      for (const text of faint) holds(false, `${scheme}: the contrast of ${text} is too low`);
      if (folder) {
        const { data } = await call("Page.captureScreenshot", { captureBeyondViewport: true });
        writeFileSync(join(folder, `${scheme}-${width}.png`), Buffer.from(data, "base64"));
      }
    }
  }
};

// Texts whose contrast with the background is below 4.5 to 1, as WCAG 2.2 AA asks.
const faintTexts = () => {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const linear = [red, green, blue].map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!texts.length || ["STYLE", "SCRIPT", "NOSCRIPT"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const color = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [one, other] = [luminance(channels(color)), luminance(background(element))].sort();
    if ((other + 0.05) / (one + 0.05) < 4.5) faint.add(`${element.tagName} "${texts[0].data.slice(0, 40)}"`);
  }
  return [...faint];
};

// Tab goes through everything that can be focused, and shows where it is.
const keyboard = async () => {
  const wanted = await run(`[...document.querySelectorAll("a[href], button:not([hidden]), [tabindex='0']")].length`);
  await run("document.activeElement.blur()");
  const reached = new Set();
  for (let step = 0; step < wanted; step += 1) {
    for (const type of ["keyDown", "keyUp"]) await call("Input.dispatchKeyEvent", { type, key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 });
    const [place, outline] = await run(`(() => {
      const all = [...document.querySelectorAll("*")];
      return [all.indexOf(document.activeElement), getComputedStyle(document.activeElement).outlineStyle];
    })()`);
    reached.add(place);
    holds(outline !== "none", `the focus of element ${place} cannot be seen`);
  }
  holds(reached.size === wanted, `Tab reaches ${reached.size} of ${wanted} elements`);
};

// What a screen reader is told: landmarks, one heading of the first level, and a name for each region and table.
const screenReader = async () => {
  const { nodes } = await call("Accessibility.getFullAXTree");
  const told = nodes.filter((node) => !node.ignored).map((node) => ({ role: node.role?.value, name: node.name?.value ?? "" }));
  const count = (role) => told.filter((node) => node.role === role).length;
  holds(count("main") === 1, "there is no landmark for the content");
  holds(count("region") >= 8, `only ${count("region")} sections are landmarks`);
  for (const role of ["region", "table", "button", "link", "heading"]) {
    const nameless = told.filter((node) => node.role === role && !node.name.trim());
    holds(!nameless.length, `${nameless.length} of the role ${role} have no name`);
  }
};

// The live page takes new figures over by itself, and says so if it cannot.
const updates = async () => {
  const before = await run(`document.querySelector("main time").dateTime`);
  await until("an update of the page", async () => (await run(`document.querySelector("main time").dateTime`)) !== before);
};

const quiet = () => {
  for (const event of events) {
    if (event.method === "Runtime.exceptionThrown") holds(false, `a script failed: ${event.params.exceptionDetails.text}`);
    if (event.method === "Runtime.consoleAPICalled") holds(false, `the console says: ${event.params.args.map((arg) => arg.value).join(" ")}`);
    if (event.method === "Log.entryAdded") holds(false, `the browser says: ${event.params.entry.text}`);
    if (event.method === "Network.requestWillBeSent" && event.params.request.url !== address && !isIcon(event)) {
      holds(false, `${event.params.request.url} was requested`);
    }
  }
};
const isIcon = (event) => event.params.request.url === new URL("/favicon.ico", address).href;

const ended = new Promise((_, reject) => {
  browser.on("error", (error) => reject(new Error(`the browser cannot be started: ${error.message}`)));
  browser.on("exit", (code) => reject(new Error(`the browser ended with ${code}`)));
});
const look = async () => {
  if (folder) mkdirSync(folder, { recursive: true });
  await open();
  await everyWidth();
  await keyboard();
  await screenReader();
  if (address.startsWith("http")) await updates();
  quiet();
};
try {
  await Promise.race([look(), ended]);
} catch (error) {
  problems.push(error.message);
}
ended.catch(() => {});
browser.kill();
await new Promise((resolve) => (browser.exitCode === null && browser.signalCode === null ? browser.on("exit", resolve) : resolve()));
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
for (const problem of problems) console.error(problem);
console.log(problems.length ? `${problems.length} problems` : "the page is in order");
process.exit(problems.length ? 1 : 0);
