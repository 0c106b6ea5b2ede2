// Fetch loads this script of deno_net for the client certificates of `Deno.createHttpClient`, which
// components can't reach. It stands in for that extension, whose sockets nothing here needs yet.
(function () {
  return {
    loadTlsKeyPair() {
      throw new TypeError("Client certificates are not available");
    },
  };
})();
