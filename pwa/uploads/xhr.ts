// A request that tells how much of its body has left: `fetch` does not, XMLHttpRequest does, in pages and workers. A
// service worker has none.
import type { OnSent } from '../api.ts';

/** Like `fetch`, for what `api.ts` sends: same answers, same errors. */
export function xhrSend(url: string, init: RequestInit, onSent: OnSent): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { signal } = init;
    const xhr = new XMLHttpRequest();
    const end = () => signal?.removeEventListener('abort', abort);
    const abort = () => {
      xhr.abort();
      reject(signal?.reason);
    };
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    signal?.addEventListener('abort', abort);
    xhr.open(init.method ?? 'GET', url);
    xhr.responseType = 'blob';
    new Headers(init.headers).forEach((value, name) => {
      xhr.setRequestHeader(name, value);
    });
    xhr.upload.onprogress = (event) => onSent(event.loaded);
    xhr.onload = () => {
      end();
      const headers = new Headers();
      for (const line of xhr.getAllResponseHeaders().trim().split(/\r?\n/)) {
        const colon = line.indexOf(':');
        if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
      }
      // These statuses have no body, and `Response` insists on it.
      const body = xhr.status === 204 || xhr.status === 205 || xhr.status === 304 ? null : (xhr.response as Blob);
      resolve(new Response(body, { status: xhr.status, headers }));
    };
    xhr.onerror = () => {
      end();
      reject(new TypeError('the line broke'));
    };
    xhr.send(init.body as XMLHttpRequestBodyInit);
  });
}
