// The web app manifest: what the device shows of Sheaf outside its own window.
import type { ManifestOptions } from 'vite-plugin-pwa';

export const manifest: Partial<ManifestOptions> = {
  id: '/',
  name: 'Sheaf',
  short_name: 'Sheaf',
  description: 'Queue exam sheets without a network, watch them being read, keep the results at hand.',
  lang: 'en',
  dir: 'ltr',
  start_url: '/',
  scope: '/',
  display: 'standalone',
  background_color: '#f5f3ef',
  theme_color: '#f5f3ef',
  categories: ['education', 'productivity'],
  file_handlers: [
    {
      action: '/new',
      accept: {
        'application/zip': ['.zip'],
        'image/jpeg': ['.jpg', '.jpeg'],
        'image/png': ['.png'],
        'image/tiff': ['.tif', '.tiff'],
        'application/pdf': ['.pdf'],
      },
    },
  ],
  share_target: {
    action: '/share-target',
    method: 'POST',
    enctype: 'multipart/form-data',
    params: {
      files: [
        {
          name: 'files',
          accept: ['application/zip', '.zip', 'image/jpeg', 'image/png', 'image/webp', 'image/tiff', 'application/pdf'],
        },
      ],
    },
  },
  launch_handler: { client_mode: 'focus-existing' },
  icons: [
    { src: '/icons/icon-192.png', sizes: '192x192', type: 'image/png' },
    { src: '/icons/icon-512.png', sizes: '512x512', type: 'image/png' },
    { src: '/icons/maskable-192.png', sizes: '192x192', type: 'image/png', purpose: 'maskable' },
    { src: '/icons/maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
  ],
  shortcuts: [
    { name: 'New batch', url: '/new', icons: [{ src: '/icons/icon-192.png', sizes: '192x192' }] },
    { name: 'Queue', url: '/queue', icons: [{ src: '/icons/icon-192.png', sizes: '192x192' }] },
    { name: 'Batches', url: '/', icons: [{ src: '/icons/icon-192.png', sizes: '192x192' }] },
  ],
};
