// Organising: when the last page is read, its groups are made (batches/grouping.ts) and told, and two stages end.
import { type Group, groupsOf, keepGroups } from '../batches/grouping.ts';
import { appendForeseen } from '../corrections/foreseen.ts';
import { placePages } from '../corrections/place.ts';
import { endStage, type Logged, tell } from '../progress/log.ts';
import { counted, type Step } from './steps.ts';

export const organize: Step = async (batch, { db, announce }) => {
  const { batch_id } = batch;
  if (batch.done_pages < batch.total_pages) return 'waiting';
  const logged = await db.write(async (tx) => {
    const at = Date.now();
    if (!(await endStage(tx, batch_id, 'organizing_qr', at))) return [];
    await appendForeseen(db, tx, batch);
    const groups = await groupsOf(tx, batch);
    await keepGroups(tx, batch, groups);
    // What people said of covers and pages holds for this reading too.
    await placePages(tx, batch);
    const told: Logged[] = [];
    for (const [i, group] of groups.entries()) {
      const message = `Processing group ${i + 1}/${groups.length}: ${describe(group)}`;
      // The last group's message is not the end: that is said below.
      const percentage = Math.min(99.9, ((i + 1) / groups.length) * 100);
      told.push(...(await tell(tx, batch_id, { stage: 'organizing_qr', message, percentage }, at)));
    }
    const sheets = groups.reduce((sum, group) => sum + group.sheets, 0);
    const failed = groups.reduce((sum, group) => sum + group.failed_sheets, 0);
    const message = `Organized into ${counted(groups.length, 'group')}, ${counted(sheets, 'sheet')} total`;
    told.push(...(await tell(tx, batch_id, { stage: 'organizing_qr', message, percentage: 100 }, at)));
    await endStage(tx, batch_id, 'processing_sheets', at);
    const all = `All ${counted(sheets, 'sheet')} completed (${failed} failed)`;
    told.push(...(await tell(tx, batch_id, { stage: 'processing_sheets', message: all, percentage: 100 }, at)));
    return told;
  });
  announce(logged);
  return 'done';
};

function describe(group: Group): string {
  const count = counted(group.sheets, 'sheet');
  switch (group.state) {
    case 'no-cover':
      return `${count} before the first cover, held for a person`;
    case 'unreadable-cover':
      return `QR code unreadable, ${count} held for a person`;
    case 'maybe-cover':
      return `page ${group.first_page + 1} failed and may have been a cover, ${count} held for a person`;
    case 'set-aside':
      return `${count} set aside by a person`;
    case 'no-task':
      return `QR code ${group.task_id}, ${count}, no such task yet`;
    default:
      return `QR code ${group.task_id}, ${count}`;
  }
}
