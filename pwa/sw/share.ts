// Files that another app shares with Sheaf arrive as a form that is posted to this origin. They are put aside for the
// page, which asks the person what they are.

export const SHARE_PATH = '/share-target';
/** The same name as in ../install.ts, which belongs to the page. */
const SHARED = 'sheaf-shared';

export async function takeShare(request: Request): Promise<Response> {
  const files = (await request.formData()).getAll('files').filter((value) => value instanceof File);
  await caches.delete(SHARED);
  const kept = await caches.open(SHARED);
  for (const [index, file] of files.entries())
    await kept.put(`/shared/${index}?name=${encodeURIComponent(file.name)}`, new Response(file));
  return Response.redirect('/new?shared=1', 303);
}
