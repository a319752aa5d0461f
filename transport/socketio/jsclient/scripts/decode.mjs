// Decodes each packet of a JSON array on standard input with the reference parser and prints what
// it made of it, one JSON array for all: null for a refusal.
import { Decoder } from "socket.io-parser";

let input = "";
for await (const chunk of process.stdin) input += chunk;

const results = JSON.parse(input).map((text) => {
  const decoder = new Decoder();
  let decoded = null;
  decoder.on("decoded", (packet) => {
    decoded = packet;
  });
  try {
    decoder.add(text);
  } catch {
    return null;
  }
  // A packet that waits for its attachments is held inside the decoder.
  decoded ??= decoder.reconstructor?.reconPack ?? null;
  if (decoded === null) return null;
  return {
    type: decoded.type,
    nsp: decoded.nsp,
    id: decoded.id ?? null,
    data: decoded.data === undefined ? null : decoded.data,
    attachments: decoded.attachments ?? 0,
  };
});
process.stdout.write(JSON.stringify(results));
