// Unpacks the browser of the package @sparticuz/chromium, in the directory `bin` of the package.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";

for (const [packed, name, mode] of [
  ["chromium.br", "chromium", 0o755],
  ["al2023.tar.br", "libraries.tar", 0o644],
  ["fonts.tar.br", "fonts.tar", 0o644],
]) {
  writeFileSync(name, brotliDecompressSync(readFileSync(packed)), { mode });
  rmSync(packed);
}
