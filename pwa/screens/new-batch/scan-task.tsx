// The camera looks for the QR code of a cover and gives its task id. The reader is fetched when it is first used.
import { useEffect, useRef, useState } from 'preact/hooks';
import { parseQr } from '../../../shared/template/qr-text.ts';
import { Drawer } from '../../ui/controls.tsx';
import { newWords } from './words.ts';

export const ScanTask = ({ onTask, onClose }: { onTask: (taskId: string) => void; onClose: () => void }) => {
  const t = newWords();
  const video = useRef<HTMLVideoElement>(null);
  const [state, setState] = useState<'starting' | 'looking' | 'other' | 'none'>('starting');
  useEffect(() => {
    let over = false;
    let stop = (): void => {};
    const look = async (): Promise<void> => {
      const { BrowserQRCodeReader } = await import('@zxing/browser');
      if (over || !video.current) return;
      const constraints = { video: { facingMode: 'environment', width: { ideal: 1920 } } };
      const controls = await new BrowserQRCodeReader().decodeFromConstraints(constraints, video.current, (result) => {
        if (over || !result) return;
        const said = parseQr(result.getText());
        if (said.kind === 'cover') onTask(said.task_id);
        else setState('other');
      });
      stop = () => controls.stop();
      if (over) stop();
      else setState('looking');
    };
    // No camera, or no permission: nothing to mend here, the id can be typed.
    look().catch(() => {
      if (!over) setState('none');
    });
    return () => {
      over = true;
      stop();
    };
  }, []);
  return (
    <Drawer title={t.scan} onClose={onClose}>
      {state !== 'none' && (
        <div class="viewfinder">
          <video ref={video} playsInline muted aria-label={t.camera} />
        </div>
      )}
      <p class="hint" role="status">
        {{ starting: t.cameraWait, looking: t.camera, other: t.cameraOther, none: t.cameraNone }[state]}
      </p>
    </Drawer>
  );
};
