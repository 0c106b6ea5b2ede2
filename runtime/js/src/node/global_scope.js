// What node:console reads of the script in which Deno's runtime lists its globals.
export const windowOrWorkerGlobalScope = {
  console: Object.getOwnPropertyDescriptor(globalThis, "console"),
};
