// SPDX-License-Identifier: GPL-2.0
/*
 * Layouts that Rust reads by field, as the kernel's C compiler has them. This
 * is compiled to assembly; Kbuild turns each line into a static assertion or a
 * constant of the bindings crate (see layout_generated.rs in the build folder).
 */
#define COMPILE_OFFSETS
#include <linux/kbuild.h>

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/virtio.h>
#include <net/page_pool/types.h>
#include <net/xdp_sock_drv.h>

#define SIZE(type) DEFINE(type, sizeof(struct type))
#define FIELD(type, field) FIELD_AS(type, field, field)
#define FIELD_AS(type, field, path) DEFINE(type:path, offsetof(struct type, field))

int main(void);

int main(void)
{
	SIZE(sk_buff);
	FIELD_AS(sk_buff, dev, __bindgen_anon_1.__bindgen_anon_1.__bindgen_anon_1.dev);
	FIELD(sk_buff, len);
	FIELD(sk_buff, data_len);
	FIELD(sk_buff, tail);
	FIELD(sk_buff, end);
	FIELD(sk_buff, head);
	FIELD(sk_buff, data);
	FIELD(sk_buff, truesize);

	SIZE(skb_shared_info);
	FIELD(skb_shared_info, flags);
	FIELD(skb_shared_info, meta_len);
	FIELD(skb_shared_info, nr_frags);
	FIELD(skb_shared_info, gso_size);
	FIELD(skb_shared_info, gso_segs);
	FIELD(skb_shared_info, gso_type);
	FIELD(skb_shared_info, frags);

	SIZE(net_device);
	FIELD(net_device, features);
	FIELD(net_device, netdev_ops);
	FIELD(net_device, mtu);
	FIELD(net_device, real_num_rx_queues);
	FIELD(net_device, hw_features);
	FIELD(net_device, ethtool_ops);
	FIELD(net_device, dev_addr);
	FIELD(net_device, min_mtu);
	FIELD(net_device, max_mtu);
	FIELD(net_device, request_ops_lock);

	SIZE(napi_struct);
	FIELD(napi_struct, state);
	FIELD(napi_struct, weight);
	FIELD(napi_struct, poll);
	FIELD(napi_struct, dev);

	SIZE(virtqueue);
	FIELD(virtqueue, callback);
	FIELD(virtqueue, vdev);
	FIELD(virtqueue, index);
	FIELD(virtqueue, num_free);
	FIELD_AS(virtqueue, priv, priv_);

	SIZE(virtio_device);
	FIELD(virtio_device, dev);
	FIELD(virtio_device, id);
	FIELD(virtio_device, config);
	FIELD_AS(virtio_device, priv, priv_);

	SIZE(xdp_buff);
	FIELD(xdp_buff, data);
	FIELD(xdp_buff, data_end);
	FIELD(xdp_buff, data_meta);
	FIELD(xdp_buff, data_hard_start);
	FIELD(xdp_buff, rxq);
	FIELD_AS(xdp_buff, frame_sz, __bindgen_anon_1.__bindgen_anon_1.frame_sz);
	FIELD_AS(xdp_buff, flags, __bindgen_anon_1.__bindgen_anon_1.flags);

	SIZE(xdp_frame);
	FIELD(xdp_frame, data);
	FIELD(xdp_frame, len);
	FIELD(xdp_frame, headroom);
	FIELD(xdp_frame, metasize);
	FIELD(xdp_frame, frame_sz);
	FIELD(xdp_frame, flags);

	SIZE(xdp_buff_xsk);
	FIELD(xdp_buff_xsk, xdp);
	FIELD(xdp_buff_xsk, cb);
	FIELD(xdp_buff_xsk, dma);
	FIELD(xdp_buff_xsk, pool);
	FIELD(xdp_buff_xsk, list_node);

	SIZE(xdp_desc);
	FIELD(xdp_desc, addr);
	FIELD(xdp_desc, len);
	FIELD(xdp_desc, options);

	FIELD(xsk_buff_pool, netdev);
	FIELD(xsk_buff_pool, umem);
	FIELD(xsk_buff_pool, xskb_list);
	FIELD(xsk_buff_pool, dma_pages);
	FIELD(xsk_buff_pool, tx_descs);
	FIELD(xsk_buff_pool, dma_pages_cnt);
	FIELD(xsk_buff_pool, headroom);
	FIELD(xsk_buff_pool, chunk_size);
	FIELD(xsk_buff_pool, unaligned);
	FIELD(xsk_buff_pool, tx_metadata_len);

	SIZE(xsk_tx_metadata);
	FIELD(xsk_tx_metadata, flags);

	FIELD(xdp_umem, npgs);
	FIELD(xdp_umem, flags);
	FIELD(xdp_umem, pgs);

	/* Expressions that bindgen cannot evaluate at file scope. */
	DEFINE(NET_SKB_PAD, NET_SKB_PAD);

	return 0;
}
