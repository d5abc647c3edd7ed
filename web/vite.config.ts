import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Where `npm run dev` finds a running api; the built pages always use their own origin.
const api = process.env.BIDWITNESS_API ?? 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: '../api/static',
    emptyOutDir: true,
    target: 'es2022',
    // No inlined data: addresses, so that a strict Content-Security-Policy holds.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  server: {
    proxy: {
      '/api': { target: api, ws: true, changeOrigin: false },
      '/play': { target: api },
    },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
