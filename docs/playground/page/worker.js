// The compiler beside the page, so that the page never waits for it. It says `ready`, and then answers each question.

async function start() {
  const response = await fetch("imgspec.wasm");
  if (!response.ok) throw new Error(`imgspec.wasm: ${response.status}`);
  const { instance } = await WebAssembly.instantiate(await response.arrayBuffer());
  const { memory, ask, answer, answered } = instance.exports;
  onmessage = ({ data }) => {
    try {
      const question = new TextEncoder().encode(JSON.stringify(data));
      const place = ask(question.length);
      new Uint8Array(memory.buffer, place, question.length).set(question);
      const length = answer();
      const text = new TextDecoder().decode(new Uint8Array(memory.buffer, answered(), length));
      postMessage({ answer: JSON.parse(text) });
    } catch (error) {
      // The program takes a longer stack for this. A browser gives none.
      const isTooDeep = error instanceof RangeError;
      postMessage({ error: isTooDeep ? "the spec is nested too deeply for a browser" : error.message });
    }
  };
  postMessage({ ready: true });
}

start().catch((error) => postMessage({ error: error.message }));
