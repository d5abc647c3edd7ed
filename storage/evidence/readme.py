"""The text beside the package, for whoever receives it (Chinese first)."""

README = """证据包说明
==========

本包是一场公共资源交易活动(场次)的音视频记录及其证据数据,由 BidWitness 见证系统导出。
目录采用 BagIt 格式(RFC 8493)。

一、里面有什么
  data/media/        录像原文件(MP4),按码流分目录,文件名以 UTC 时间标明起点。
                     任何播放器可直接打开;图像为摄像机原始码流,未经转码;
                     G.711 声音转存为 FLAC(无损转码)。
  data/records/      每路码流、每个 UTC 日的证据记录(每行一条,前后相扣)。
  data/session/      本场次自身的记录:计划、开始、认领、结束与固化。
  data/disclosures/  只披露部分片段的文件:未披露部分以摘要代替,仍可核对。
  data/log/          存证账本的检查点(含共签机构的共签)、本场次各条目的证明、可信时间戳。
  data/timeline.json 时间线:码流名称、各文件起止时间、缺口及原因,供人查阅。
  manifest-sha256.txt  每个文件的 SHA-256 摘要。
  digests-sm3.txt    录像以外各文件的 SM3 摘要;录像的 SM3 摘要在其证据记录中。
  report/            固证报告(PDF)及其所据事实,若已出具且本包含有整场录像。报告由出具单位
                     签名;verify.py 只核对其场次根,签名由 bidwitness verify 核对。
  verify.py          独立校验程序,只需 Python 3.8 或更高版本的标准库,无需联网。
  verify.html        独立校验网页,用浏览器打开即可,无需联网,不上传任何内容。

二、怎样校验
  用浏览器打开 verify.html,选择本文件夹及信任材料;
  或在本目录执行:   python3 verify.py
  或安装 BidWitness 后执行:   bidwitness verify 证据包路径
  另加  --policy 文件   指明信任材料(出具单位与共签机构的公钥)。信任材料须从本包之外取得,
  并与公布的指纹核对;没有它,校验最多得出 3。
  退出码: 0 真实; 1 不真实(指出何处); 2 无法读取; 3 自洽但未获证明。

三、不能证明什么
  摄像机前的场景是否为摆拍;摄像机自身时钟是否准确(各段记录中注明时钟来源)。
  缺口如实列出,有缺口的录像不称“完整”。

四、请注意
  本包内容可能涉密或含个人信息,仅限调阅(复制)登记中载明的用途使用,
  用后按登记要求归还或销毁。


About this package
==================

This is the sound and picture record of one session of a public-resource-trading centre with its
evidence, exported by BidWitness as a BagIt bag (RFC 8493).

What is in it
  data/media/        recordings (MP4) by stream; names tell the beginning in UTC. Any player opens
                     them. Picture is the camera's own stream; G.711 sound is kept as FLAC
                     (lossless).
  data/records/      evidence records of each stream and UTC day, each pointing to the one before.
  data/session/      the session's own records: plan, open, claims, close.
  data/disclosures/  for files disclosed in part: hashes stand in for what is withheld.
  data/log/          the log's checkpoint with cosignatures of witnesses, proofs of the session's
                     entries, time stamps.
  data/timeline.json names, times and gaps, for people.
  manifest-sha256.txt  SHA-256 of every file.
  digests-sm3.txt    SM3 of every file but the recordings, whose SM3 is in their records.
  report/            evidence reports (PDF) with their facts, if there are any and this package
                     holds the whole session. verify.py checks the root that they name, and
                     bidwitness verify their signature.
  verify.py          a verifier that needs only Python 3.8 or later and no network.
  verify.html        a verifier for a browser: no network, nothing is sent.

How to verify
  Open verify.html in a browser and choose this folder and the trust material, or
  here:  python3 verify.py       or, with BidWitness installed:  bidwitness verify PACKAGE
  Add  --policy FILE  to name the trust material: the public keys of the issuer and its witnesses.
  Get it from elsewhere than this package and compare its fingerprints with those published;
  without it the best answer is 3.
  Exit code: 0 authentic, 1 not (and where), 2 unreadable, 3 consistent but unproven.

What cannot be proved
  Whether a scene was staged before the lens; whether a camera's own clock was right (each record
  says which clock it used). Gaps are stated; a recording with a gap is not called complete.

Please note
  The content may be secret or personal. Use it only as the access register says, and return or
  destroy it as agreed.
"""
