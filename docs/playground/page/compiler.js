// The compiler in a worker, which ends where it computes for too long.

/** How long an answer may take, in milliseconds. */
const PATIENCE = 10_000;

export class Compiler {
  #worker = null;
  /** What waits for the worker: `resolve`, `reject` and the timer. */
  #waiting = null;

  /** Returns the answer to a question. Only one may be asked at a time. */
  async ask(question) {
    if (!this.#worker) {
      this.#worker = new Worker("worker.js", { type: "module" });
      this.#worker.onmessage = ({ data }) => data.error ? this.#fail(data.error) : this.#settle(data.answer);
      this.#worker.onerror = (event) => this.#fail(event.message || "the compiler could not be loaded");
      // A slow network is no reason to give up.
      await new Promise((resolve, reject) => { this.#waiting = { resolve, reject }; });
    }
    return new Promise((resolve, reject) => {
      const why = `the compiler ran for ${PATIENCE / 1000} seconds without a result and was stopped`;
      const timer = setTimeout(() => this.#fail(why), PATIENCE);
      this.#waiting = { resolve, reject, timer };
      this.#worker.postMessage(question);
    });
  }

  #settle(answer) {
    clearTimeout(this.#waiting?.timer);
    this.#waiting?.resolve(answer);
    this.#waiting = null;
  }

  /** After an error nothing in the worker's memory is sure, and the next question gets another one. */
  #fail(why) {
    clearTimeout(this.#waiting?.timer);
    this.#worker?.terminate();
    this.#worker = null;
    this.#waiting?.reject(new Error(why));
    this.#waiting = null;
  }
}
