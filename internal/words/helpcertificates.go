package words

// helpCertificates is the help of kaztoken cert.
var helpCertificates = []helpEntry{
	{
		"List, show, import, export, delete and choose certificates",
		"Сертификаттарды тізу, көрсету, импорттау, экспорттау, жою және таңдау",
		"Перечислить, показать, импортировать, экспортировать, удалить и выбрать сертификаты",
	},
	{
		"List, show, import, export, delete and choose certificates.",
		"Сертификаттарды тізеді, көрсетеді, импорттайды, экспорттайды, жояды және таңдайды.",
		"Перечислить, показать, импортировать, экспортировать, удалить и выбрать сертификаты.",
	},
	{
		"A certificate is named by its id or the beginning of it, its label or a part of it, or its number in the list. Changes need the user PIN: see kaztoken pin.",
		"Сертификат ID арқылы немесе оның басымен, белгісімен немесе оның бөлігімен, не тізімдегі нөмірімен аталады. Өзгерту үшін Пайдаланушының ПИН коды керек: kaztoken pin пәрменін қараңыз.",
		"Сертификат называют по ID или его началу, по метке или её части либо по номеру в списке. Для изменений нужен PIN-код Пользователя: см. kaztoken pin.",
	},
	{"Show or choose the default certificate", "Әдепкі сертификатты көрсету немесе таңдау", "Показать или выбрать сертификат по умолчанию"},
	{
		"Show or choose the default certificate of the token. The token has no place for the choice: it is kept on this machine, in kaztoken/config.toml in the user's folder for settings, by the token's number and the certificate's id.",
		"Токеннің әдепкі сертификатын көрсетеді немесе таңдайды. Токенде бұл таңдауға орын жоқ: ол осы компьютерде, пайдаланушының баптаулар қалтасындағы kaztoken/config.toml файлында, токен нөмірі мен сертификат ID бойынша сақталады.",
		"Показать или выбрать сертификат токена по умолчанию. На токене для выбора места нет: он хранится на этом компьютере, в kaztoken/config.toml в папке настроек пользователя, по номеру токена и ID сертификата.",
	},
	{
		"--json prints an object with the keys id, label; both are empty if there is none",
		"--json болса, id, label кілттері бар нысан шығады; сертификат таңдалмаса, екеуі де бос",
		"С --json выводится объект с ключами id, label; если сертификат не выбран, оба пусты",
	},
	{"forget the choice", "таңдауды ұмыту", "забыть выбор"},
	{"Delete certificates and their key pairs", "Сертификаттарды және олардың кілт жұптарын жою", "Удалить сертификаты и их ключевые пары"},
	{
		"Delete certificates. The key pair that belongs to a certificate is deleted with it, unless another certificate for the same key stays. The command names the token and what goes, and asks.",
		"Сертификаттарды жояды. Сертификатпен бірге оның кілт жұбы да жойылады, егер сол кілттің басқа сертификаты қалмаса. Пәрмен токенді және не жойылатынын атап, сұрайды.",
		"Удалить сертификаты. Вместе с сертификатом удаляется его ключевая пара, если для того же ключа не остаётся другого сертификата. Команда называет токен и то, что будет удалено, и спрашивает.",
	},
	{
		"--json prints an object with the keys certificates, keys, objects (how many have been deleted)",
		"--json болса, certificates, keys, objects кілттері бар нысан шығады (нешеуі жойылды)",
		"С --json выводится объект с ключами certificates, keys, objects (сколько удалено)",
	},
	{"Write a certificate to a file", "Сертификатты файлға жазу", "Записать сертификат в файл"},
	{
		"Write a certificate, without its key, to a file or to standard output: as PEM, or with --format der in DER. It needs no PIN. Private keys cannot be exported: the token does not give them out.",
		"Сертификатты кілтсіз файлға немесе стандартты шығысқа жазады: PEM түрінде, --format der болса, DER түрінде. ПИН код қажет емес. Жабық кілттер экспортталмайды: токен оларды бермейді.",
		"Записать сертификат без ключа в файл или в стандартный вывод: в PEM, а с --format der в DER. PIN-код не нужен. Закрытые ключи не экспортируются: токен их не отдаёт.",
	},
	{"pem or der", "pem немесе der", "pem или der"},
	{
		"Put a certificate, or a key with its certificates, onto the token",
		"Токенге сертификат немесе сертификаттары бар кілт жазу", "Записать на токен сертификат или ключ с сертификатами",
	},
	{
		"Put what a file holds onto the token: certificates (.cer, .crt, .pem, .p7b), or a private key with its certificate and those of its issuers (.p12, .pfx, .pem). What a file is, is told by its content. FILE may be - for standard input.",
		"Файлдағыны токенге жазады: сертификаттарды (.cer, .crt, .pem, .p7b) немесе жабық кілтті оның және шығарушыларының сертификаттарымен бірге (.p12, .pfx, .pem). Файлдың түрі мазмұнынан анықталады. FILE орнына - жазылса, стандартты кіріс оқылады.",
		"Записать на токен то, что в файле: сертификаты (.cer, .crt, .pem, .p7b) или закрытый ключ с его сертификатом и сертификатами издателей (.p12, .pfx, .pem). Что это за файл, видно по содержимому. FILE может быть -, это стандартный ввод.",
	},
	{
		"The password of a file is typed at a prompt, or read with --password-file or --password-fd. The user logs in: see kaztoken pin.",
		"Файлдың құпиясөзі сұралғанда теріледі, немесе --password-file не --password-fd арқылы оқылады. Пайдаланушы кіреді: kaztoken pin пәрменін қараңыз.",
		"Пароль файла вводится по запросу или берётся из --password-file либо --password-fd. Входит Пользователь: см. kaztoken pin.",
	},
	{
		"--json prints an object with the keys key (null without one, else as in key list), certificates (how many were stored)",
		"--json болса, мына кілттері бар нысан шығады: key (кілт болмаса null, әйтпесе key list пәрменіндегідей), certificates (нешеуі жазылды)",
		"С --json выводится объект с ключами key (без ключа null, иначе как в key list), certificates (сколько записано)",
	},
	{"id of the key or certificate in `HEX` instead of the usual one", "кілттің немесе сертификаттың әдеттегі орнына `HEX` түріндегі ID", "ID ключа или сертификата в `HEX` вместо обычного"},
	{"`NAME` on the token instead of the subject's", "токендегі аты, субъект аты орнына `NAME`", "имя на токене `NAME` вместо имени субъекта"},
	{"read the file's password from the first line of `FILE`", "файлдың құпиясөзін `FILE` файлының бірінші жолынан оқу", "взять пароль файла из первой строки файла `FILE`"},
	{
		"read the file's password from a line of the open descriptor `N`; 0 is standard input",
		"файлдың құпиясөзін ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять пароль файла из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"List the certificates on the token", "Токендегі сертификаттарды тізу", "Перечислить сертификаты на токене"},
	{
		"List the certificates on the token: personal ones, whose key pair is on it, then others, then key pairs without a certificate. It needs no PIN. A star marks the default certificate.",
		"Токендегі сертификаттарды тізеді: жеке сертификаттар (кілт жұбы токенде), содан кейін басқалары, содан кейін сертификаты жоқ кілт жұптары. ПИН код қажет емес. Әдепкі сертификат жұлдызшамен белгіленеді.",
		"Перечислить сертификаты на токене: личные, чья ключевая пара на нём, затем другие, затем ключевые пары без сертификата. PIN-код не нужен. Звёздочкой отмечен сертификат по умолчанию.",
	},
	{
		"--json prints an object with the keys certificates, an array of what cert show --json prints, and keys, an array of what key list --json prints",
		"--json болса, certificates, keys кілттері бар нысан шығады: біріншісі — cert show --json шығаратындардың жиымы, екіншісі — key list --json шығаратындардың жиымы",
		"С --json выводится объект с ключами certificates, keys: первый — массив того, что выводит cert show --json, второй — массив того, что выводит key list --json",
	},
	{"Describe a certificate", "Сертификатты сипаттау", "Описать сертификат"},
	{
		"Describe a certificate: whose it is, who issued it, whether its dates are good today, what it may be used for and, if Kazakhstan's National Certification Authority issued it, what it is for. It needs no PIN. Whether the certificate was revoked, or its signature is right, is not checked.",
		"Сертификатты сипаттайды: кімдікі, кім шығарған, мерзімі бүгін жарамды ма, неге пайдалануға болады және Қазақстанның Ұлттық куәландырушы орталығы шығарса, не үшін берілген. ПИН код қажет емес. Сертификаттың қайтарып алынғаны немесе қолтаңбасының дұрыстығы тексерілмейді.",
		"Описать сертификат: чей он, кем выдан, действителен ли сегодня по датам, для чего его можно использовать, а если его выдал Национальный удостоверяющий центр Казахстана, то для чего он. PIN-код не нужен. Отозван ли сертификат и верна ли его подпись, не проверяется.",
	},
	{
		`--json prints an object with the keys
  number, id, label, subject, issuer, serial, not_before, not_after, state
  (valid, not-yet-valid, expired, unknown), algorithm, algorithm_oid, bits,
  signature_algorithm, key_usage, extended_key_usage, policies,
  alternative_names, sha256, size, authority, has_key, default,
  kazakhstan (null, or of a certificate of the National CA: purpose, holder,
    roles, policies, other_oids, name, iin, bin, organisation, authority)`,
		`--json болса, мына кілттері бар нысан шығады:
  number, id, label, subject, issuer, serial, not_before, not_after, state
  (valid, not-yet-valid, expired, unknown), algorithm, algorithm_oid, bits,
  signature_algorithm, key_usage, extended_key_usage, policies,
  alternative_names, sha256, size, authority, has_key, default,
  kazakhstan (null, ал Ұлттық куәландырушы орталық сертификатында: purpose,
    holder, roles, policies, other_oids, name, iin, bin, organisation, authority)`,
		`С --json выводится объект с ключами
  number, id, label, subject, issuer, serial, not_before, not_after, state
  (valid, not-yet-valid, expired, unknown), algorithm, algorithm_oid, bits,
  signature_algorithm, key_usage, extended_key_usage, policies,
  alternative_names, sha256, size, authority, has_key, default,
  kazakhstan (null, а у сертификата НУЦ РК: purpose, holder, roles, policies,
    other_oids, name, iin, bin, organisation, authority)`,
	},
}
