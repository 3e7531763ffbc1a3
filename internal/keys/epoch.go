package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"troth/internal/fault"
)

// page is how many refs of the ring are rewrapped in one transaction.
const page = 2000

// Shred destroys keys: in one durable transaction their entries, in all
// versions, become tombstones, and nothing of them is cached in this process
// any more. A ref that was never made gets a tombstone too, so that it never
// will be. With a tenant's key goes its blind-index key.
//
// Older backups of the keyring still hold the wrapped values, until [Keys.Roll]
// has made a newer epoch and [Keys.Retire] has destroyed the ones before. Other
// processes are told through [Keys.Announce]; without that they notice within
// five minutes. An error of the announcement comes back although the keys are
// destroyed: to shred them again is harmless, and tells again.
func (k *Keys) Shred(ctx context.Context, refs ...Ref) error {
	refs = withIndexes(refs)
	if err := k.destroy(ctx, refs); err != nil {
		return err
	}
	if k.announce == nil {
		return nil
	}
	if err := k.announce(context.WithoutCancel(ctx), refs); err != nil {
		return fmt.Errorf("telling other processes of destroyed keys: %w", err)
	}
	return nil
}

// Announce sets how other processes are told that keys were destroyed; they
// call [Keys.Evict]. It is set before the first use.
func (k *Keys) Announce(tell func(ctx context.Context, destroyed []Ref) error) { k.announce = tell }

func (k *Keys) destroy(ctx context.Context, refs []Ref) error {
	defer k.Evict(refs...)
	epoch, err := k.root.Current(ctx)
	if err != nil {
		return fmt.Errorf("shredding keys: %w", k.unreachable(err))
	}
	for { // until a look finds only tombstones: somebody may add a version meanwhile
		live, err := k.living(ctx, refs, epoch)
		if err != nil {
			return fmt.Errorf("shredding keys: %w", err)
		}
		if len(live) == 0 {
			return k.relabel(ctx, refs, epoch)
		}
		if err := k.ring.Rewrap(ctx, live); err != nil {
			return fmt.Errorf("shredding keys: %w", k.unreachable(err))
		}
		k.Evict(refs...)
	}
}

// relabel writes a second tombstone when the epoch was rolled while keys were
// destroyed: an entry may have been wrapped under the newer epoch just before.
func (k *Keys) relabel(ctx context.Context, refs []Ref, epoch string) error {
	current, err := k.root.Current(ctx)
	if err != nil {
		return fmt.Errorf("shredding keys: %w", k.unreachable(err))
	}
	if current == epoch {
		return nil
	}
	for _, ref := range refs {
		entries, err := k.ring.Entries(ctx, ref)
		if err == nil && len(entries) > 0 && entries[0].Version < maxVersion {
			err = k.ring.Insert(ctx, Entry{Ref: ref, Version: entries[0].Version + 1, Epoch: current, CreatedAt: k.now().UTC()})
		}
		if err != nil && fault.KindOf(err) != fault.Conflict {
			return fmt.Errorf("shredding keys: %w", k.unreachable(err))
		}
	}
	return nil
}

// Owed counts the destroyed entries of which a copy in an older backup of the
// keyring could still be unwrapped, because the epoch they were destroyed in,
// or one before it, still exists. Roll and Retire bring it to zero.
func (k *Keys) Owed(ctx context.Context) (int, error) {
	_, owed, err := k.Epochs(ctx)
	return owed, err
}

// withIndexes adds the index keys of the tenants among the refs.
func withIndexes(refs []Ref) []Ref {
	all := slices.Clone(refs)
	for _, ref := range refs {
		if tenant, ok := cutRef(ref, "tenant/"); ok {
			all = append(all, Ref("index/"+tenant))
		}
	}
	return all
}

func cutRef(ref Ref, prefix string) (string, bool) {
	if len(ref) > len(prefix) && string(ref[:len(prefix)]) == prefix {
		return string(ref[len(prefix):]), true
	}
	return "", false
}

// living returns the tombstones for those entries of refs that still live, and
// inserts one for a ref without entries.
func (k *Keys) living(ctx context.Context, refs []Ref, epoch string) ([]Entry, error) {
	var live []Entry
	for _, ref := range refs {
		if err := ref.check(); err != nil {
			return nil, err
		}
		entries, err := k.ring.Entries(ctx, ref)
		if err == nil && len(entries) == 0 {
			err = k.ring.Insert(ctx, Entry{Ref: ref, Version: 1, Epoch: epoch, CreatedAt: k.now().UTC()})
			if fault.KindOf(err) == fault.Conflict { // made this very moment
				entries, err = k.ring.Entries(ctx, ref)
			}
		}
		if err != nil {
			return nil, k.unreachable(err)
		}
		for _, e := range entries {
			if !e.Destroyed() {
				live = append(live, Entry{Ref: e.Ref, Version: e.Version, Epoch: epoch})
			}
		}
	}
	return live, nil
}

// Roll makes a new epoch and rewraps every entry of the keyring under it, while
// this and other processes go on. It tells progress in entries. If it is
// interrupted, entries stand under two epochs, which is a good state; the next
// Roll takes them along. It continues an interrupted one, without a further
// epoch, unless a key was destroyed since that epoch was made.
func (k *Keys) Roll(ctx context.Context, progress func(done, total int)) (epoch string, err error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	total, err := k.ring.Count(ctx)
	if err != nil {
		return "", fmt.Errorf("rolling the epoch: %w", k.unreachable(err))
	}
	if err := k.begin(ctx); err != nil {
		return "", fmt.Errorf("rolling the epoch: %w", err)
	}
	for { // until a pass finds nothing to do: entries may be added meanwhile
		progress(0, total)
		moved, lost, err := k.rewrapAll(ctx, func(done int) { progress(min(done, total), total) })
		if err != nil {
			return "", fmt.Errorf("rolling the epoch: %w", err)
		}
		if moved > 0 {
			continue
		}
		if len(lost) > 0 {
			return "", fault.New(fault.Conflict, "keys.lost", "%d entries of the keyring cannot be opened and stayed as they were, the first is %s: restore the epoch key that wraps them, or destroy them.", len(lost), string(lost[0].Ref))
		}
		progress(total, total)
		epoch, err := k.root.Current(ctx)
		if err != nil {
			return "", fmt.Errorf("rolling the epoch: %w", k.unreachable(err))
		}
		return epoch, nil
	}
}

// begin makes the new epoch, unless the current one is that of an interrupted
// roll: entries stand under an older epoch, and none was destroyed under it.
func (k *Keys) begin(ctx context.Context) error {
	current, err := k.root.Current(ctx)
	if err != nil {
		return k.unreachable(err)
	}
	older, shredded := false, false
	err = k.eachPage(ctx, func(entries []Entry) error {
		for _, e := range entries {
			older = older || !e.Destroyed() && e.Epoch != current
			shredded = shredded || e.Destroyed() && e.Epoch == current
		}
		return nil
	})
	if err != nil {
		return err
	}
	if older && !shredded {
		return nil
	}
	if _, err := k.root.Create(ctx); err != nil {
		return k.unreachable(err)
	}
	return nil
}

// rewrapAll moves every entry to the epoch that is current when its page is
// read: if two processes roll at once, both move towards the newest.
func (k *Keys) rewrapAll(ctx context.Context, progress func(done int)) (moved int, lost []Entry, err error) {
	done := 0
	err = k.eachPage(ctx, func(entries []Entry) error {
		current, err := k.root.Current(ctx)
		if err != nil {
			return k.unreachable(err)
		}
		fresh := make([]Entry, 0, len(entries))
		for _, e := range entries {
			if e.Destroyed() || e.Epoch == current {
				continue
			}
			key, err := k.unwrap(ctx, e)
			if errors.Is(err, ErrNoEpoch) || errors.Is(err, ErrAltered) {
				lost = append(lost, e)
				continue
			}
			if err != nil {
				return k.unreachable(err)
			}
			w, err := k.wrap(ctx, e.Ref, e.Version, key, current)
			clear(key)
			if err != nil {
				return k.unreachable(err)
			}
			w.CreatedAt = e.CreatedAt
			fresh = append(fresh, w)
		}
		if len(fresh) > 0 {
			if err := k.ring.Rewrap(ctx, fresh); err != nil {
				return k.unreachable(err)
			}
		}
		moved += len(fresh)
		done += len(entries)
		progress(done)
		return nil
	})
	return moved, lost, err
}

// eachPage walks the whole ring.
func (k *Keys) eachPage(ctx context.Context, visit func([]Entry) error) error {
	after := Ref("")
	for {
		entries, err := k.ring.Walk(ctx, after, page)
		if err != nil {
			return k.unreachable(err)
		}
		if len(entries) == 0 {
			return nil
		}
		if err := visit(entries); err != nil {
			return err
		}
		after = entries[len(entries)-1].Ref
	}
}

// Epoch is one epoch key and what stands under it.
type Epoch struct {
	Name    string
	Current bool
	Keys    int // entries of the keyring that it wraps
}

// Epochs lists the epoch keys that exist, the oldest first, and counts the
// destroyed entries as [Keys.Owed] does.
func (k *Keys) Epochs(ctx context.Context) (all []Epoch, owed int, err error) {
	names, err := k.root.Epochs(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("listing the epochs: %w", k.unreachable(err))
	}
	current, err := k.root.Current(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("listing the epochs: %w", k.unreachable(err))
	}
	wrapped := map[string]int{}
	err = k.eachPage(ctx, func(entries []Entry) error {
		for _, e := range entries {
			switch {
			case !e.Destroyed():
				wrapped[e.Epoch]++
			case len(names) > 0 && e.Epoch >= names[0]:
				owed++
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("listing the epochs: %w", err)
	}
	for _, name := range names {
		all = append(all, Epoch{Name: name, Current: name == current, Keys: wrapped[name]})
	}
	return all, owed, nil
}

// Retire destroys the key of an old epoch. From the time it returns, older
// backups of the keyring that were wrapped under it are dead; a KMS may return
// a time in the future. It is fault.Conflict while the epoch is the current one
// or an entry is still wrapped under it: then Roll comes first.
func (k *Keys) Retire(ctx context.Context, epoch string) (done time.Time, err error) {
	epochs, err := k.root.Epochs(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("retiring the epoch: %w", k.unreachable(err))
	}
	if !slices.Contains(epochs, epoch) {
		return time.Time{}, fault.New(fault.NotFound, "keys.no_epoch", "There is no epoch %s. These exist: %v.", epoch, epochs)
	}
	current, err := k.root.Current(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("retiring the epoch: %w", k.unreachable(err))
	}
	if epoch == current {
		return time.Time{}, fault.New(fault.Conflict, "keys.current_epoch", "The epoch %s is the current one. Roll the keys to a new epoch first.", epoch)
	}
	using := 0
	err = k.eachPage(ctx, func(entries []Entry) error {
		for _, e := range entries {
			if !e.Destroyed() && e.Epoch == epoch {
				using++
			}
		}
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("retiring the epoch: %w", err)
	}
	if using > 0 {
		return time.Time{}, fault.New(fault.Conflict, "keys.epoch_in_use", "%d keys are still wrapped under the epoch %s. Roll the keys to a new epoch first.", using, epoch)
	}
	done, err = k.root.Destroy(ctx, epoch)
	if err != nil {
		return time.Time{}, fmt.Errorf("retiring the epoch %s: %w", epoch, k.unreachable(err))
	}
	if done.IsZero() {
		done = k.now()
	}
	return done, nil
}
